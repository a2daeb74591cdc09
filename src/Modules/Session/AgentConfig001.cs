using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace VoicePlatform.Sessions;

/// <summary>How seed 001's clients configure an agent: stable names, which the agent's dispatch carries too. Unknown ones are ignored.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed partial record AgentConfig001
{
    /// <summary>As the seed writes it: what was not given is left out.</summary>
    public static readonly JsonSerializerOptions Wire = new(Json.Options) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    private const string DefaultRealtimeModel = "gpt-4o-realtime-preview";

    public string? Stt { get; init; }
    public string? Tts { get; init; }
    public string? Llm { get; init; }
    public string? Prompt { get; init; }

    /// <summary>An instruction ("Say, 'Hi'").</summary>
    public string? Greeting { get; init; }
    public bool? Realtime { get; init; }
    public string? RealtimeModel { get; init; }
    public string? RealtimeVoice { get; init; }
    public bool? VadEnabled { get; init; }
    public bool? TurnDetectionEnabled { get; init; }
    public bool? NoiseCancellationEnabled { get; init; }

    /// <summary>auto, telephony, standard, none.</summary>
    public string? NoiseCancellationType { get; init; }

    /// <summary>The same as changes to an assistant's document.</summary>
    public string ToOverrides()
    {
        var document = new JsonObject();
        Model("stt", Stt);
        Model("tts", Tts);
        Model("llm", Llm);
        if (Prompt is not null)
        {
            document["prompt"] = Prompt;
        }

        if (Greeting is not null)
        {
            // Words to be said as they are need no model to say them.
            var quoted = Say().Match(Greeting);
            document["greeting"] = new JsonObject
            {
                ["text"] = quoted.Success ? quoted.Groups["text"].Value : Greeting,
                ["mode"] = quoted.Success ? "verbatim" : "instruction",
                ["speak_first"] = true,
            };
        }

        if (Realtime is true)
        {
            var model = RealtimeModel ?? DefaultRealtimeModel;
            document["architecture"] = "realtime";
            document["realtime"] = new JsonObject { ["model"] = model.Contains('/', StringComparison.Ordinal) ? model : $"openai/{model}", ["voice"] = RealtimeVoice };
        }

        if (VadEnabled is false)
        {
            document["turn"] = new JsonObject { ["detection"] = "stt" };
        }
        else if (TurnDetectionEnabled is false)
        {
            document["turn"] = new JsonObject { ["detection"] = "vad" };
        }

        if (NoiseCancellationEnabled is false || NoiseCancellationType is not null)
        {
            document["audio"] = new JsonObject { ["noise_cancellation"] = NoiseCancellationEnabled is false ? "none" : NoiseCancellationType };
        }

        return document.ToJsonString();

        void Model(string stage, string? descriptor)
        {
            if (descriptor is not null)
            {
                document[stage] = new JsonObject { ["model"] = descriptor, ["fallbacks"] = new JsonArray() };
            }
        }
    }

    [GeneratedRegex("""^\s*say[,:]?\s*['"‘’“”](?<text>.+)['"‘’“”]\s*\.?\s*\z""", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture | RegexOptions.Singleline)]
    private static partial Regex Say();
}
