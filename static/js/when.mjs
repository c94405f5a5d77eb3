// Whether a question is asked: {question, is}, {question, aspect, at_least, at_most} or {question, answered: true}, read as the
// server reads it. `earlier` is the question it hangs on: { asked, hidden, answer, values }, or null while it has no answer.
export function holds(when, earlier) {
  if (!earlier || earlier.hidden || !earlier.answer) return false;
  if ("is" in when) return [when.is].flat().some((value) => earlier.values.includes(value));
  if (!("at_least" in when) && !("at_most" in when)) return true;
  const mark = earlier.answer.ratings?.[when.aspect ?? earlier.asked.aspects[0].name];
  return mark >= (when.at_least ?? mark) && mark <= (when.at_most ?? mark);
}

// What an answer says, in the words a condition may use. Labels bring their parents: their control says so itself.
export const valuesIn = ({ choice, labels, raised }) => [choice, ...(labels ?? []), ...(raised ?? []).map((flag) => flag.value)].filter(Boolean);
