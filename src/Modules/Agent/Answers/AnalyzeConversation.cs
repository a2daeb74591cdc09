using System.Text;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Agent.Tools;
using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Answers;

internal sealed class AnalyzeConversationHandler(ProviderCatalog providers, IMediator mediator) : IRequestHandler<AnalyzeConversation, Result<Findings>>
{
    // A model that wrote something unreadable is told so once.
    private const int Tries = 2;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public async Task<Result<Findings>> Handle(AnalyzeConversation request, CancellationToken cancellationToken)
    {
        var reader = new AssistantDocument { Name = "analysis", Prompt = AnalysisForm.Instructions, Llm = request.Settings.Llm ?? new LanguageModelChoice() };
        var keys = await mediator.ReadAsync(request.TenantId, TenantKeys.Of(reader), cancellationToken);
        var mind = providers.Mind(reader, keys, _ => { }, Patience);
        if (!mind.IsOk)
        {
            return mind.Error;
        }

        var form = new AnalysisForm(request.Settings);
        var usage = new List<UsageTotal>();
        var prompt = new Prompt(reader, new Dictionary<string, string>(), [], AnalysisForm.Describe(request.Lines, request.StartedAt)) { Tools = [form.Definition], Cut = usage.Add };
        try
        {
            for (var tries = 1; ; tries++)
            {
                var (said, call) = await AskAsync(mind.Value, prompt, usage, cancellationToken);
                var (found, mistake) = form.Read(call?.ArgumentsJson ?? said);
                if (mistake is null || tries == Tries)
                {
                    found ??= new Findings("", null, null, null, new Dictionary<string, System.Text.Json.JsonElement>(), $"The model's analysis cannot be read: {mistake}", []);
                    var model = usage.Count == 0 ? $"{mind.Value.Provider}/{mind.Value.Model}" : $"{usage[^1].Provider}/{usage[^1].Model}";
                    return found with { Model = model, Usage = UsageTotal.Summed(usage) };
                }

                prompt = call is null
                    ? prompt with { Instructions = $"{prompt.Instructions}\nAn answer to this was refused: {mistake}".Trim() }
                    : prompt with { Exchanges = [.. prompt.Exchanges, new ToolExchange(said, [(call, new ToolOutcome(mistake, Failed: true))])] };
            }
        }
        catch (ProviderException e)
        {
            return new Error(e.Retryable ? ErrorKind.Unavailable : ErrorKind.Invalid, "agent.provider_failed", e.Message);
        }
    }

    private static async Task<(string Said, ToolCall? Call)> AskAsync(ILanguageModel model, Prompt prompt, List<UsageTotal> usage, CancellationToken ct)
    {
        var said = new StringBuilder();
        ToolCall? called = null;
        await foreach (var piece in model.AnswerAsync(prompt, ct))
        {
            switch (piece)
            {
                case Generated.Text text:
                    said.Append(text.Piece);
                    break;
                case Generated.Call call:
                    called ??= call.ToolCall;
                    break;
                case Generated.Used used:
                    usage.Add(used.Total);
                    break;
            }
        }

        return (said.ToString(), called);
    }
}
