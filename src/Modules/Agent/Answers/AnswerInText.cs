using System.Text;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Agent.Tools;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Answers;

internal sealed class AnswerInTextHandler(ProviderCatalog providers, ToolBoxes tools, IMediator mediator, TimeProvider clock) : IRequestHandler<AnswerInText, Result<TextAnswer>>
{
    public async Task<Result<TextAnswer>> Handle(AnswerInText request, CancellationToken cancellationToken)
    {
        var secrets = await mediator.ReadAsync(request.TenantId, ToolBoxes.SecretsOf(request.Tools).Concat(TenantKeys.Of(request.Assistant)), cancellationToken);
        var mind = providers.Mind(request.Assistant, secrets, _ => { });
        if (!mind.IsOk)
        {
            return mind.Error;
        }

        var text = new StringBuilder();
        var usage = new List<UsageTotal>();
        var ends = false;
        var notes = new List<SessionNote>();
        using var box = tools.Make(
            request.Tools, tools.Context(request.TenantId, request.SessionId, request.AssistantId, null, request.Variables, (ask, ct) => mediator.Send(ask, ct)), secrets, null,
            (kind, detail) => notes.Add(new SessionNote(clock.GetUtcNow(), kind, detail)));
        var model = box.IsEmpty ? mind.Value : new ToolUsingModel(mind.Value, box);
        try
        {
            var prompt = new Prompt(request.Assistant, request.Variables, request.History.Select(l => new Said(l.Speaker, l.Text)).ToList(), request.Text) { Cut = usage.Add };
            await foreach (var piece in model.AnswerAsync(prompt, cancellationToken))
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

        return new TextAnswer(text.ToString().Trim(), ends, UsageTotal.Summed(usage), notes);
    }
}
