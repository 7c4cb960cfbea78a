"""Pizzas, toppings and orders."""

from typing import Any, ClassVar

from django.db import migrations, models

ID: tuple[str, Any] = ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))
NAME: tuple[str, Any] = ("name", models.CharField(max_length=50))


class Migration(migrations.Migration):
    initial = True
    dependencies = ()
    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(name="Topping", fields=[ID, NAME]),
        migrations.CreateModel(
            name="Pizza", fields=[ID, NAME, ("toppings", models.ManyToManyField(to="shop.topping"))]
        ),
        migrations.CreateModel(
            name="Order",
            fields=[ID, ("what", models.CharField(max_length=50)), ("table", models.IntegerField(null=True))],
        ),
    ]
