"""All designs side by side, with the bounds and the claims of their authors."""
