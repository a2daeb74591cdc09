using System.Globalization;

namespace VoicePlatform.Sessions.Compat;

internal enum CompatMode { Off, On, Named }

/// <summary>Seeds 000 and 001, which have no keys: whose they are, and what they talk to.</summary>
internal sealed class CompatOptions
{
    /// <summary>Whether their routes answer (COMPAT_TENANT): on in development, else off; or a tenant's id.</summary>
    public CompatMode Mode { get; private set; }

    /// <summary>The tenant that COMPAT_TENANT names.</summary>
    public string? TenantId { get; private set; }

    /// <summary>Descriptor of the model that chats (OLLAMA_BASE_URL, OLLAMA_MODEL); null: the assistant's own.</summary>
    public string? ChatModel { get; private set; }

    /// <summary>Where an agent of somebody else's is asked to join (AI_SERVER_URL and AI_SERVER_LIVEKIT_JOIN_PATH); null: ours attends.</summary>
    public Uri? AiServer { get; private set; }

    /// <summary>How long that may take (AI_SERVER_TIMEOUT_MS).</summary>
    public TimeSpan AiServerTimeout { get; private set; }

    /// <summary>What both sides of POST /livekit/agent-session know (AI_SERVER_SHARED_SECRET); null: this side does not answer.</summary>
    public string? SharedSecret { get; private set; }

    /// <summary>The agent's identity in rooms (LIVEKIT_AGENT_IDENTITY).</summary>
    public string AgentIdentity { get; private set; } = "";

    public void Read(IConfiguration configuration, bool isDevelopment)
    {
        var compat = Text("COMPAT_TENANT") ?? (isDevelopment ? "on" : "off");
        (Mode, TenantId) = compat switch
        {
            "on" => (CompatMode.On, null),
            "off" => (CompatMode.Off, (string?)null),
            _ when Ids.IsWellFormed(compat, Ids.Tenant) => (CompatMode.Named, compat),
            _ => throw new InvalidOperationException($"COMPAT_TENANT is '{compat}'; set it to on, off or a tenant's id."),
        };
        ChatModel = Text("OLLAMA_BASE_URL") is null ? null : $"ollama/{Text("OLLAMA_MODEL") ?? "llama3.2"}";
        SharedSecret = Text("AI_SERVER_SHARED_SECRET");
        AgentIdentity = Text("LIVEKIT_AGENT_IDENTITY") ?? "assistant-ai-agent";
        var timeout = Text("AI_SERVER_TIMEOUT_MS") ?? "10000";
        AiServerTimeout = int.TryParse(timeout, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) && milliseconds > 0
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new InvalidOperationException($"AI_SERVER_TIMEOUT_MS is '{timeout}'; set it to a whole number above zero.");
        if (Text("AI_SERVER_URL") is { } server)
        {
            var path = Text("AI_SERVER_LIVEKIT_JOIN_PATH") ?? "/livekit/agent-session";
            AiServer = Uri.TryCreate($"{server.TrimEnd('/')}/{path.TrimStart('/')}", UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
                ? url
                : throw new InvalidOperationException($"AI_SERVER_URL is '{server}'; set it to an http or https URL.");
            if (SharedSecret is null)
            {
                throw new InvalidOperationException("AI_SERVER_URL is set, so AI_SERVER_SHARED_SECRET is needed too.");
            }
        }

        string? Text(string name) => configuration[name] is { Length: > 0 } value ? value : null;
    }
}
