"""The facade that OpenAI's own clients use: a dialect for the same generations."""
