"""All designs side by side, beside the bounds, and what their authors said of them."""
