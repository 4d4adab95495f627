"""Parts that several designs are made of; a design imports what it needs of them."""
