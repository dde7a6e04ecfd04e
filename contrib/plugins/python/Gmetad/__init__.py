"""What plugins of gmetad-python import, over gmetad's own tree. Holds no code itself."""

# A package whose modules are all there already.
__path__ = []
