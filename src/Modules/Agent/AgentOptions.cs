using System.Globalization;

namespace VoicePlatform.Agent;

internal sealed class AgentOptions
{
    /// <summary>The name under which the worker registers (AGENT_NAME).</summary>
    public string AgentName { get; private set; } = "voice-agent";

    /// <summary>The agent's identity in rooms (LIVEKIT_AGENT_IDENTITY).</summary>
    public string Identity { get; private set; } = "assistant-ai-agent";

    /// <summary>Conversations at a time (AGENT_MAX_SESSIONS); 12 a core unless set.</summary>
    public int MaxSessions { get; private set; }

    /// <summary>How long running conversations may go on when the host stops (AGENT_DRAIN_TIMEOUT_S, seconds): 60, in development 2.</summary>
    public TimeSpan DrainTimeout { get; private set; }

    public string? OpenAiApiKey { get; private set; }
    public Uri OpenAiBaseUrl { get; private set; } = new("https://api.openai.com/v1");
    public Uri? OllamaBaseUrl { get; private set; }
    public string OllamaModel { get; private set; } = "llama3.2";
    public TimeSpan OllamaTimeout { get; private set; } = TimeSpan.FromSeconds(30);

    /// <summary>A file of LiveKit's client library (LIVEKIT_FFI_LIBRARY); null: what set-up brought.</summary>
    public string? FfiLibrary { get; private set; }

    /// <summary>For what is kept between starts (DATA_DIR).</summary>
    public string DataDir { get; private set; } = ".data";

    public void Read(IConfiguration c, bool isDevelopment)
    {
        AgentName = Text("AGENT_NAME") ?? AgentName;
        Identity = Text("LIVEKIT_AGENT_IDENTITY") ?? Identity;
        MaxSessions = Number("AGENT_MAX_SESSIONS", Environment.ProcessorCount * 12);
        DrainTimeout = TimeSpan.FromSeconds(Number("AGENT_DRAIN_TIMEOUT_S", isDevelopment ? 2 : 60));
        OpenAiApiKey = Text("OPENAI_API_KEY");
        OpenAiBaseUrl = Url("OPENAI_BASE_URL") ?? OpenAiBaseUrl;
        OllamaBaseUrl = Url("OLLAMA_BASE_URL");
        OllamaModel = Text("OLLAMA_MODEL") ?? OllamaModel;
        OllamaTimeout = TimeSpan.FromMilliseconds(Number("OLLAMA_TIMEOUT_MS", (int)OllamaTimeout.TotalMilliseconds));
        FfiLibrary = Text("LIVEKIT_FFI_LIBRARY");
        DataDir = Path.GetFullPath(Text("DATA_DIR") ?? DataDir);

        string? Text(string name) => c[name] is { Length: > 0 } value ? value : null;

        int Number(string name, int fallback) =>
            Text(name) is not { } text ? fallback
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 ? number
            : throw new InvalidOperationException($"{name} is '{text}'; set it to a whole number above zero.");

        Uri? Url(string name) =>
            Text(name) is not { } text ? null
            : Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" ? url
            : throw new InvalidOperationException($"{name} is '{text}'; set it to an http or https URL.");
    }
}
