"""The page of a session: one file of HTML that is read without scripts, and answers to the mouse with them."""
