using System.Text;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Answers;

internal sealed class AnswerInTextHandler(ProviderCatalog providers) : IRequestHandler<AnswerInText, Result<TextAnswer>>
{
    public async Task<Result<TextAnswer>> Handle(AnswerInText request, CancellationToken cancellationToken)
    {
        var mind = providers.Mind(request.Assistant, _ => { });
        if (!mind.IsOk)
        {
            return mind.Error;
        }

        var text = new StringBuilder();
        var usage = new List<UsageTotal>();
        var ends = false;
        try
        {
            var prompt = new Prompt(request.Assistant, request.Variables, request.History.Select(l => new Said(l.Speaker, l.Text)).ToList(), request.Text);
            await foreach (var piece in mind.Value.AnswerAsync(prompt, cancellationToken))
            {
                switch (piece)
                {
                    case Generated.Text t:
                        text.Append(t.Piece);
                        break;
                    case Generated.Used u:
                        usage.Add(u.Total);
                        break;
                    case Generated.EndConversation:
                        ends = true;
                        break;
                }
            }
        }
        catch (ProviderException e)
        {
            return new Error(ErrorKind.Unavailable, "agent.provider_failed", e.Message);
        }

        return new TextAnswer(text.ToString().Trim(), ends, usage);
    }
}
