"""All designs side by side, between the bounds, and what their authors said of them."""
