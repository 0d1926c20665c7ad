"""Claims about other libraries: what their documentation says, held against the masks recovered from them."""
