//! Every bound of the program, each with its reason. Relations between bounds are asserted at compile time.
