"""One readable loop a recipe: data, losses, resume, logging. Models do not know this room."""
