"""Messages in doubt, across all sends."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0003_audience_count'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('state', 'in_doubt')), fields=['state', 'send'], name='messages_in_doubt'),
        ),
    ]
