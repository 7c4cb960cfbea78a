"""The tables of this application, as makemigrations wrote them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Topping",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("name", models.CharField(max_length=40, unique=True)),
                ("vegetarian", models.BooleanField(default=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Pizza",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("name", models.CharField(max_length=40, unique=True)),
                ("slug", models.SlugField(unique=True)),
                ("price_cents", models.PositiveIntegerField()),
                ("vegetarian", models.BooleanField(default=False, editable=False)),
                ("toppings", models.ManyToManyField(related_name="pizzas", to="menu.topping")),
            ],
            options={
                "ordering": ["price_cents", "name"],
            },
        ),
    ]
