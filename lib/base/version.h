/* The version of this build, as `--version` of each program prints it and as docs/openapi.yaml states it. */
#pragma once

#define MILLRACE_VERSION "1"
