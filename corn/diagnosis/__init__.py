"""What went wrong in the user's code, and how it is shown in a terminal, in a browser and to other clients."""
