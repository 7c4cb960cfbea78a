"""The tables of this application, as makemigrations wrote them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("menu", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Customer",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("name", models.CharField(max_length=60)),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("order_count", models.PositiveIntegerField(default=0, editable=False)),
                ("spent_cents", models.PositiveIntegerField(default=0, editable=False)),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("number", models.CharField(editable=False, max_length=12)),
                (
                    "size",
                    models.CharField(
                        choices=[("S", "small"), ("M", "medium"), ("L", "large")],
                        default="M",
                        max_length=1,
                    ),
                ),
                ("price_cents", models.PositiveIntegerField()),
                ("takeaway", models.BooleanField(default=False)),
                ("paid", models.BooleanField(default=False)),
                ("placed_at", models.DateTimeField(auto_now_add=True)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="orders",
                        to="orders.customer",
                    ),
                ),
                (
                    "pizza",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="orders",
                        to="menu.pizza",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
    ]
