"""Three ways to know that the machine model is right: a real kernel, theory, and the rows of 2002."""
