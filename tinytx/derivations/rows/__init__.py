r"""The rows of `tinytx.derivations.TABLE`: ``first`` holds the operations to begin with; each other file holds those of one kind."""
