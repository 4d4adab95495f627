"""The claims of March 2002 about the mapping designs, each as an experiment that can be replayed."""
