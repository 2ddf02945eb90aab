"""Members of a segment, surest first, in the order in which they are shown."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0002_merged_customer'),
        ('segmentation', '0014_disagreeing_so_far'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='membership',
            name='segmentatio_run_id_a9dec4_idx',
        ),
        migrations.AddIndex(
            model_name='membership',
            index=models.Index(fields=['run', 'segment', '-probability', 'id'], name='surest_first'),
        ),
    ]
