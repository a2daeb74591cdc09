using Microsoft.Extensions.Options;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Providers.Flite;
using VoicePlatform.Agent.Providers.OpenAi;
using VoicePlatform.Agent.Providers.PocketSphinx;
using VoicePlatform.Agent.Providers.Script;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Agent.Providers;

/// <summary>Finds what a model descriptor names, or says which field names something that is not there.</summary>
internal sealed class ProviderCatalog(IOptions<AgentOptions> options, PocketSphinxSpeech pocketSphinx, FliteSpeech flite, TimeProvider clock)
{
    private static readonly TimeSpan FirstTokenTimeout = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan SpeechTimeout = TimeSpan.FromSeconds(5);

    private string DefaultLlm =>
        options.Value.OpenAiApiKey is not null ? "openai/gpt-4o-mini"
        : options.Value.OllamaBaseUrl is not null ? $"ollama/{options.Value.OllamaModel}"
        : "local/script";

    /// <summary>What this assistant needs and this installation lacks; null when it can converse.</summary>
    public Error? Lack(AssistantDocument assistant, IReadOnlyDictionary<string, string> tenantKeys, bool voice) =>
        assistant.Architecture is Architecture.Realtime or Architecture.HalfCascade
            ? Missing("realtime.model", $"This installation has no realtime provider for '{assistant.Realtime?.Model}'.")
            : Mind(assistant, tenantKeys, _ => { }).Error ?? (voice ? Ears(assistant).Error ?? Voice(assistant, _ => { }).Error : null);

    public Result<ISpeechToText> Ears(AssistantDocument assistant)
    {
        var model = assistant.Stt.Model ?? "local/pocketsphinx";
        return Split(model) switch
        {
            ("local", "pocketsphinx", _) => PocketSphinxSpeech.Missing() is { } missing ? NotReady("stt.model", missing) : Result<ISpeechToText>.Ok(pocketSphinx),
            _ => Unknown<ISpeechToText>("stt.model", model),
        };
    }

    /// <param name="failed">Told of each voice that was given up.</param>
    public Result<ITextToSpeech> Voice(AssistantDocument assistant, Action<ProviderException> failed)
    {
        var voices = new List<ITextToSpeech>();
        foreach (var (descriptor, field) in assistant.Tts.Fallbacks.Select((f, i) => (f, $"tts.fallbacks[{i}]")).Prepend((assistant.Tts.Model ?? "local/flite:slt", "tts.model")))
        {
            var voice = SingleVoice(descriptor, field, assistant.Tts.Speed);
            if (!voice.IsOk)
            {
                return voice.Error;
            }

            voices.Add(voice.Value);
        }

        return Result<ITextToSpeech>.Ok(new FallbackVoice(voices, SpeechTimeout, clock, failed));
    }

    private Result<ITextToSpeech> SingleVoice(string descriptor, string field, double speed) => Split(descriptor) switch
    {
        ("local", "flite", var voice) => FliteSpeech.Missing() is { } missing ? NotReady(field, missing)
            : FliteSpeech.Voices.Contains(voice ?? "slt") ? Result<ITextToSpeech>.Ok(flite.Voice(voice ?? "slt", speed))
            : Error.Field(field, "unknown_voice", $"flite has the voices {string.Join(", ", FliteSpeech.Voices)}."),
        _ => Unknown<ITextToSpeech>(field, descriptor),
    };

    /// <param name="tenantKeys">The tenant's own keys, by the names of <see cref="TenantKeys"/>.</param>
    /// <param name="failed">Told of each model that was given up.</param>
    /// <param name="patience">With a model that says nothing, where nobody waits on the line; null: as long as a caller has.</param>
    public Result<ILanguageModel> Mind(
        AssistantDocument assistant, IReadOnlyDictionary<string, string> tenantKeys, Action<ProviderException> failed, TimeSpan? patience = null)
    {
        var models = new List<ILanguageModel>();
        foreach (var (descriptor, field) in assistant.Llm.Fallbacks.Select((f, i) => (f, $"llm.fallbacks[{i}]")).Prepend((assistant.Llm.Model ?? DefaultLlm, "llm.model")))
        {
            var model = Single(descriptor, field, tenantKeys);
            if (!model.IsOk)
            {
                return model.Error;
            }

            models.Add(model.Value);
        }

        return Result<ILanguageModel>.Ok(new FallbackModel(models, patience ?? FirstTokenTimeout, patience ?? IdleTimeout, clock, failed));
    }

    private Result<ILanguageModel> Single(string descriptor, string field, IReadOnlyDictionary<string, string> tenantKeys)
    {
        var o = options.Value;
        return Split(descriptor) switch
        {
            ("local", "script", _) => Result<ILanguageModel>.Ok(new ScriptModel()),
            ("openai", var name, _) => (tenantKeys.GetValueOrDefault(TenantKeys.OpenAi) ?? o.OpenAiApiKey) is { } key
                ? Result<ILanguageModel>.Ok(new OpenAiModel("openai", name, o.OpenAiBaseUrl, key, FirstTokenTimeout * 4, ownKey: tenantKeys.ContainsKey(TenantKeys.OpenAi)))
                : NotReady(field, "OPENAI_API_KEY is set neither in this installation nor as a secret of the tenant."),
            ("ollama", var name, var tag) => o.OllamaBaseUrl is { } url
                ? Result<ILanguageModel>.Ok(new OpenAiModel("ollama", tag is null ? name : $"{name}:{tag}", WithV1(url), "ollama", o.OllamaTimeout))
                : NotReady(field, "OLLAMA_BASE_URL is not set in this installation."),
            _ => Unknown<ILanguageModel>(field, descriptor),
        };
    }

    /// <summary>"provider/model:voice" in its parts.</summary>
    internal static (string Provider, string Model, string? Tail) Split(string descriptor)
    {
        var slash = descriptor.IndexOf('/', StringComparison.Ordinal);
        var (provider, rest) = slash < 0 ? ("", descriptor) : (descriptor[..slash], descriptor[(slash + 1)..]);
        var colon = rest.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? (provider, rest, null) : (provider, rest[..colon], rest[(colon + 1)..]);
    }

    /// <summary>Ollama's address is usually given without the path of its OpenAI door.</summary>
    private static Uri WithV1(Uri url)
    {
        var path = url.AbsolutePath.TrimEnd('/');
        return new Uri(url, path.EndsWith("/v1", StringComparison.Ordinal) ? path : path + "/v1");
    }

    private static Error NotReady(string field, string why) => Missing(field, why);

    private static Result<T> Unknown<T>(string field, string descriptor) => Missing(field, $"This installation has no provider for '{descriptor}'.");

    private static Error Missing(string field, string why) =>
        new(ErrorKind.Invalid, "assistant.provider_missing", $"'{field}': {why}") { Fields = [new(field, "provider_missing", why)] };
}
