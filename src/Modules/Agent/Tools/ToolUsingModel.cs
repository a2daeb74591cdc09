using System.Runtime.CompilerServices;
using System.Text;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Speech;

namespace VoicePlatform.Agent.Tools;

/// <summary>Lets a model use tools: asks it, does what it calls, tells it what came of it, and asks again until it has answered in words.</summary>
internal sealed class ToolUsingModel(ILanguageModel model, ToolBox box) : ILanguageModel
{
    // A model that goes in circles is stopped; nobody waits on the phone for a ninth step.
    private const int MostSteps = 8;

    public string Provider => model.Provider;

    public string Model => model.Model;

    public async IAsyncEnumerable<Generated> AnswerAsync(Prompt prompt, [EnumeratorCancellation] CancellationToken ct)
    {
        await box.OpenAsync(ct);
        var exchanges = new List<ToolExchange>();
        var ends = false;
        while (true)
        {
            var said = new StringBuilder();
            var calls = new List<ToolCall>();
            var asked = prompt with { Tools = exchanges.Count < MostSteps && !ends ? box.Definitions : [], Exchanges = exchanges };
            await foreach (var piece in model.AnswerAsync(asked, ct))
            {
                if (piece is Generated.Call call)
                {
                    calls.Add(call.ToolCall);
                    continue;
                }

                if (piece is Generated.Text text)
                {
                    said.Append(text.Piece);
                }

                yield return piece;
            }

            if (calls.Count == 0)
            {
                yield break;
            }

            if (said.Length > 0)
            {
                // What was said so far is spoken while the tools run.
                yield return new Generated.Text("\n");
            }
            else if (calls.Select(c => box.Find(c.Name)?.Say).FirstOrDefault(s => !string.IsNullOrEmpty(s)) is { } filler)
            {
                yield return new Generated.Text(Placeholder.Fill(filler, prompt.Variables) + "\n");
            }

            var outcomes = new List<(ToolCall, ToolOutcome)>();
            foreach (var call in calls)
            {
                var outcome = await box.RunAsync(call, ct);
                outcomes.Add((call, outcome));
                if (outcome.TransferTo is { } to)
                {
                    yield return new Generated.Transfer(to);
                }

                ends |= outcome.EndsConversation || outcome.TransferTo is not null;
            }

            exchanges.Add(new ToolExchange(said.ToString(), outcomes));
            if (ends && outcomes.Any(o => o.Item2.EndsConversation))
            {
                yield return new Generated.EndConversation();
            }

            // It has said its last words together with the call that ends it: nothing is to be asked any more.
            if (ends && said.Length > 0)
            {
                yield break;
            }

            if (exchanges.Count > MostSteps)
            {
                throw new ProviderException(Provider, $"{Provider}/{Model} called tools {MostSteps} times without answering.", retryable: false);
            }
        }
    }
}
