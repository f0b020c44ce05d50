/* Answers an operator's question: which units of this process's pools a workspace holds now
 * (lib/redis/share_question.h). Loop thread only. */
#pragma once

#include "executor/context/executor.h"
#include "redis/share_question.h"

void share_answer_send(struct executor *exec, const struct share_question *question);
