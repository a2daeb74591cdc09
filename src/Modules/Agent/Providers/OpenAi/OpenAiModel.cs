using System.ClientModel;
using System.ClientModel.Primitives;
using System.Runtime.CompilerServices;
using System.Text;
using OpenAI;
using OpenAI.Chat;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Agent.Tools;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Agent.Providers.OpenAi;

/// <summary>Any chat model behind OpenAI's HTTP API: OpenAI itself, Ollama, vLLM and the like.</summary>
internal sealed class OpenAiModel : ILanguageModel
{
    private readonly ChatClient _client;
    private readonly bool _ownKey;

    /// <param name="provider">The name in descriptors and usage: openai, ollama.</param>
    /// <param name="baseUrl">With /v1 at its end.</param>
    /// <param name="ownKey">The key is the tenant's, and so is the provider's bill.</param>
    public OpenAiModel(string provider, string model, Uri baseUrl, string apiKey, TimeSpan timeout, bool ownKey = false)
    {
        (Provider, Model, _ownKey) = (provider, model, ownKey);
        _client = new ChatClient(model, new ApiKeyCredential(apiKey), new OpenAIClientOptions
        {
            Endpoint = baseUrl,
            NetworkTimeout = timeout,

            // A caller is waiting: whoever calls this decides whether to ask again or another model.
            RetryPolicy = new ClientRetryPolicy(maxRetries: 0),
        });
    }

    public string Provider { get; }

    public string Model { get; }

    public async IAsyncEnumerable<Generated> AnswerAsync(Prompt prompt, [EnumeratorCancellation] CancellationToken ct)
    {
        var options = new ChatCompletionOptions { Temperature = (float?)prompt.Assistant.Llm.Temperature };
        foreach (var tool in prompt.Tools)
        {
            options.Tools.Add(ChatTool.CreateFunctionTool(tool.Name, tool.Description, BinaryData.FromString(tool.ParametersJson)));
        }

        var calls = new SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)>();
        await using var updates = _client.CompleteChatStreamingAsync(Messages(prompt), options, ct).GetAsyncEnumerator(ct);
        var (said, finished, begun, told) = (false, false, false, false);
        var written = 0L;
        try
        {
            while (true)
            {
                try
                {
                    if (!await updates.MoveNextAsync())
                    {
                        break;
                    }
                }
                catch (ClientResultException e)
                {
                    throw new ProviderException(Provider, $"{Provider}/{Model} answered {e.Status}.", e.Status is 0 or 408 or 429 or >= 500, e);
                }
                catch (System.Text.Json.JsonException e)
                {
                    throw new ProviderException(Provider, $"{Provider}/{Model} sent what is no answer.", retryable: true, e);
                }
                catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !ct.IsCancellationRequested))
                {
                    throw new ProviderException(Provider, $"{Provider}/{Model} could not be reached.", retryable: true, e);
                }

                begun = true;
                foreach (var part in updates.Current.ContentUpdate)
                {
                    if (part.Text is { Length: > 0 } text)
                    {
                        said = true;
                        written += text.Length;
                        yield return new Generated.Text(text);
                    }
                }

                foreach (var part in updates.Current.ToolCallUpdates)
                {
                    // The first piece of a call has its id and name, the others go on with the arguments.
                    if (!calls.TryGetValue(part.Index, out var call))
                    {
                        calls[part.Index] = call = (part.ToolCallId ?? $"call_{part.Index}", part.FunctionName ?? "", new StringBuilder());
                    }

                    call.Arguments.Append(part.FunctionArgumentsUpdate);
                    written += part.FunctionArgumentsUpdate?.ToMemory().Length ?? 0;
                }

                finished |= updates.Current.FinishReason is not null;
                if (updates.Current.Usage is { } usage)
                {
                    told = true;
                    var cached = usage.InputTokenDetails?.CachedTokenCount ?? 0;
                    yield return Reported("llm_input", usage.InputTokenCount - cached, Tokens(Characters(prompt)));
                    yield return Reported("llm_cached_input", cached, 0);
                    yield return Reported("llm_output", usage.OutputTokenCount, Tokens(written));
                }
            }

            if (begun && !told)
            {
                // Many servers say nothing about it.
                told = true;
                yield return new Generated.Used(Measured("llm_input", Tokens(Characters(prompt))));
                yield return new Generated.Used(Measured("llm_output", Tokens(written)));
            }
        }
        finally
        {
            // Nobody listens any more; what it did so far is still used.
            if (begun && !told)
            {
                prompt.Cut?.Invoke(Measured("llm_input", Tokens(Characters(prompt))));
                prompt.Cut?.Invoke(Measured("llm_output", Tokens(written)));
            }
        }

        // A stream that just ends was cut off, and a caller who gets no word was not answered.
        if (!finished || !(said || calls.Count > 0))
        {
            throw new ProviderException(Provider, $"{Provider}/{Model} {(finished ? "answered nothing" : "stopped in the middle of its answer")}.", retryable: true);
        }

        foreach (var (id, name, arguments) in calls.Values)
        {
            yield return new Generated.Call(new ToolCall(id, name, arguments.ToString()));
        }
    }

    private static AssistantChatMessage Called(ToolExchange exchange)
    {
        var message = new AssistantChatMessage(exchange.Calls.Select(c => ChatToolCall.CreateFunctionToolCall(
            c.Call.Id, c.Call.Name, BinaryData.FromString(c.Call.ArgumentsJson.Length == 0 ? "{}" : c.Call.ArgumentsJson))));
        if (exchange.SaidBefore.Length > 0)
        {
            message.Content.Add(ChatMessageContentPart.CreateTextPart(exchange.SaidBefore));
        }

        return message;
    }

    private Generated.Used Reported(string component, long tokens, long measured) =>
        new(new UsageTotal(component, Provider, Model, "token", tokens) { Reported = tokens, Measured = measured, OwnKey = _ownKey });

    private UsageTotal Measured(string component, long tokens) => new(component, Provider, Model, "token", tokens) { OwnKey = _ownKey };

    // What models of today make of a text on the average.
    private static long Tokens(long characters) => (characters + 3) / 4;

    private static long Characters(Prompt prompt) =>
        prompt.Assistant.Prompt.Length + prompt.Instructions.Length + prompt.Text.Length + prompt.History.Sum(h => (long)h.Text.Length)
        + prompt.Tools.Sum(t => (long)t.Name.Length + t.Description.Length + t.ParametersJson.Length)
        + prompt.Exchanges.Sum(e => (long)e.SaidBefore.Length + e.Calls.Sum(c => (long)c.Call.ArgumentsJson.Length + c.Outcome.Text.Length));

    private static List<ChatMessage> Messages(Prompt prompt)
    {
        var messages = new List<ChatMessage>();
        if (prompt.Assistant.Prompt.Length > 0)
        {
            messages.Add(new SystemChatMessage(prompt.Assistant.Prompt));
        }

        foreach (var said in prompt.History)
        {
            messages.Add(said.Speaker is Speaker.Agent ? new AssistantChatMessage(said.Text) : new UserChatMessage(said.Text));
        }

        if (prompt.Instructions.Length > 0)
        {
            messages.Add(new SystemChatMessage(prompt.Instructions));
        }

        if (prompt.Text.Length > 0)
        {
            messages.Add(new UserChatMessage(prompt.Text));
        }

        foreach (var exchange in prompt.Exchanges)
        {
            messages.Add(Called(exchange));
            messages.AddRange(exchange.Calls.Select(c => new ToolChatMessage(c.Call.Id, c.Outcome.Text)));
        }

        return messages;
    }
}
