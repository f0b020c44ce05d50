'use strict';
const warm = require('./warm');

const fibonacci = (n) => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2));

warm.serve(async (inputs) => ({ result: fibonacci(inputs.n) }));
