"""One file per foreign format; each defines an IMPORTER (`importer.Importer`), and nothing else names it."""
