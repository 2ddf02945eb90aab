"""How far texts have been read, and which of them disagree with their stars."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0002_merged_customer'),
        ('segmentation', '0012_leaner_places'),
    ]

    operations = [
        migrations.CreateModel(
            name='ReadingMark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('read_to', models.BigIntegerField(default=0)),
                ('passed_to', models.BigIntegerField(default=0)),
                ('passed_at', models.DateTimeField(blank=True, null=True)),
                ('reading_at', models.BigIntegerField(default=0)),
                ('lowered', models.PositiveIntegerField(default=0)),
                ('version', models.CharField(blank=True, max_length=40)),
            ],
        ),
        migrations.AddField(
            model_name='emotionscore',
            name='disagrees',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name='emotionscore',
            index=models.Index(condition=models.Q(('disagrees', True)), fields=['-occurred_at'], name='disagreeing_scores'),
        ),
    ]
