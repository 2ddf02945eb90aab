"""A message is about an occasion, and standing sends have several for one customer.

It goes back while no message has an occasion: without it, nobody would know which mails
may not be sent a second time.
"""

from django.db import migrations, models


def refuse_to_forget(apps, schema_editor):
    message = apps.get_model('campaigns', 'Message')
    if message.objects.exclude(occasion='').exists():
        raise RuntimeError(
            "Messages of standing sends are about occasions, which would be forgotten: "
            "a customer might be mailed twice about one. Delete those messages first."
        )


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0019_doubt'),
        ('customers', '0005_unreachable'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='message',
            name='one_message_per_customer',
        ),
        migrations.RemoveConstraint(
            model_name='message',
            name='one_message_per_address',
        ),
        migrations.AddField(
            model_name='message',
            name='occasion',
            field=models.CharField(blank=True, default='', max_length=80),
        ),
        migrations.AddField(
            model_name='send',
            name='standing',
            field=models.CharField(blank=True, choices=[('open', 'open'), ('closed', 'closed')], default='', max_length=6),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(fields=('send', 'customer', 'occasion'), name='one_message_per_occasion'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'left_out'), _negated=True), fields=('send', 'address_wire', 'occasion'), name='one_message_per_address'),
        ),
        # The last one, and so the first on the way back.
        migrations.RunPython(migrations.RunPython.noop, refuse_to_forget),
    ]
