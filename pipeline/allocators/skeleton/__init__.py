"""What `pipeline new allocator NAME` writes: a design and its test, with NAME where the name belongs.

They are data, read as text; none of this is imported, and the registry does not look into this folder.
"""
