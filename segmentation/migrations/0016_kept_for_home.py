"""What the home page shows of a large shop: the mood, and who moved by each run."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0002_merged_customer'),
        ('segmentation', '0015_surest_first'),
    ]

    operations = [
        migrations.CreateModel(
            name='KeptMood',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('figures', models.JSONField(default=dict)),
                ('kept_at', models.DateTimeField(blank=True, null=True)),
                ('begun_at', models.DateTimeField(blank=True, null=True)),
                ('as_of', models.DateTimeField(blank=True, null=True)),
                ('added_to', models.BigIntegerField(default=0)),
                ('tally', models.JSONField(default=dict)),
                ('worked_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.AddField(
            model_name='publication',
            name='pairs',
            field=models.JSONField(default=list),
        ),
        migrations.AddIndex(
            model_name='segmentchange',
            index=models.Index(condition=models.Q(('publication__isnull', True)), fields=['publication', 'at', 'folded', 'from_segment', 'to_segment'], name='changes_between_runs'),
        ),
    ]
