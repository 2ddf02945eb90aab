"""No index on a place that no question goes by: a run writes a row of everybody."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('segmentation', '0011_diagnosis'),
    ]

    operations = [
        migrations.AlterField(
            model_name='emotionprofile',
            name='dominant_family',
            field=models.CharField(blank=True, max_length=12),
        ),
        migrations.AlterField(
            model_name='membership',
            name='next_best',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='segmentation.segment'),
        ),
        migrations.AlterField(
            model_name='membership',
            name='run',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='segmentation.segmentationrun'),
        ),
        migrations.AlterField(
            model_name='membership',
            name='segment',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='memberships', to='segmentation.segment'),
        ),
    ]
