"""The kitchen's one signal, which is heliograph's own kind."""

import heliograph

pizza_done = heliograph.Signal(providing_args=["toppings", "size"])
