using System.Text.Json;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants;

/// <summary>An assistant for test mode: the same, with models of this machine, which cost nothing and answer nobody's account.</summary>
internal static class LocalModels
{
    private const string Script = "local/script";

    private static readonly LanguageModelChoice Scripted = Saying("This is a test: a script answers in place of the language model.");

    // All that any analysis may ask for; what was said is not looked at.
    private static readonly LanguageModelChoice ScriptedAnalysis = Saying(
        """{"summary": "This is a test: a script answers in place of the language model.", "success": true, "success_reason": "This is a test.", "fields": {}}""");

    public static AssistantDocument Of(AssistantDocument document) => document with
    {
        Architecture = document.Architecture is Architecture.Text ? Architecture.Text : Architecture.Pipeline,
        Realtime = null,
        Stt = new ModelChoice { Model = "local/pocketsphinx" },
        Tts = IsLocal(document.Tts.Model) ? document.Tts with { Fallbacks = [] } : new SpeechModelChoice { Model = "local/flite:slt", Speed = document.Tts.Speed },
        Llm = document.Llm.Model is Script ? document.Llm with { Fallbacks = [] } : Scripted,

        Analysis = document.Analysis is { } analysis ? analysis with { Llm = analysis.Llm is { Model: Script } script ? script with { Fallbacks = [] } : ScriptedAnalysis } : null,

        // A script follows no instructions: what it was to say somehow, it says as it is written.
        Greeting = document.Greeting with { Mode = GreetingMode.Verbatim },
    };

    private static LanguageModelChoice Saying(string text) => new()
    {
        Model = Script, Options = new Dictionary<string, JsonElement> { ["otherwise"] = JsonSerializer.SerializeToElement(text) },
    };

    private static bool IsLocal(string? descriptor) => descriptor?.StartsWith("local/", StringComparison.Ordinal) is true;
}
