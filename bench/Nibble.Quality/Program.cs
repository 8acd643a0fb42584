using System.CommandLine;
using Nibble.Quality.Verbs;

// What fine-tuning is worth, measured. A new verb is one file in Verbs and one line here.
var root = new RootCommand("Measures what fine-tuning gives, and draws it.")
{
    AnswersVerb.Create(),
    BaselinesVerb.Create(),
    CurveVerb.Create(),
    StudyVerb.Create(),
};
return root.Parse(args).Invoke();
