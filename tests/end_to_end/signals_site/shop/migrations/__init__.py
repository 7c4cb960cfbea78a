"""How the shop's tables come to be."""
