"""The command line: parse the options, call one function, print what it returns."""
