import warm


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


warm.serve(lambda inputs: {"result": fibonacci(inputs["n"])})
