"""House policies as data: values an institution decides for itself, with the words that justify them."""
