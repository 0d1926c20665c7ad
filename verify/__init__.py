"""Problems to try the theory on, and the ways of trying it: orders, exact arithmetic, training runs."""
