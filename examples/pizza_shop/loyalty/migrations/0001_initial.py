"""The tables of this application, as makemigrations wrote them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("orders", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Card",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("tier", models.PositiveSmallIntegerField(default=0)),
                ("greetings", models.PositiveIntegerField(default=0)),
                (
                    "customer",
                    models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, to="orders.customer"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Voucher",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("tier", models.PositiveSmallIntegerField()),
                (
                    "card",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="loyalty.card"),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="voucher",
            constraint=models.UniqueConstraint(fields=("card", "tier"), name="one_voucher_a_tier"),
        ),
    ]
