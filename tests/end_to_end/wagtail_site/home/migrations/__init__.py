"""How the tables of the site's application come to be."""
