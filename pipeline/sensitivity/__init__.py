"""How far the prices of a machine decide which design is better: screening, indices, draws, break-evens."""
