"""Where texts come from: files and generated corpora, read, cut and divided as str."""
