using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace VoicePlatform.Client;

/// <summary>The platform refused a request; docs/errors.md lists the codes.</summary>
public sealed class ProblemException : Exception
{
    private ProblemException(int status, string code, string detail, IReadOnlyList<RefusedField> fields, string? requestId, TimeSpan? retryAfter)
        : base($"{detail} ({code}, {status})") =>
        (Status, Code, Fields, RequestId, RetryAfter) = (status, code, fields, requestId, retryAfter);

    /// <summary>HTTP's.</summary>
    public int Status { get; }

    /// <summary>For programs: never renamed.</summary>
    public string Code { get; }

    /// <summary>What was refused; empty where it is not about a field.</summary>
    public IReadOnlyList<RefusedField> Fields { get; }

    /// <summary>Finds the request in the platform's logs.</summary>
    public string? RequestId { get; }

    /// <summary>When trying again makes sense; null where the platform does not say.</summary>
    public TimeSpan? RetryAfter { get; }

    internal static async Task<ProblemException> OfAsync(HttpResponseMessage answer, JsonSerializerOptions json, CancellationToken ct)
    {
        Body? body = null;
        try
        {
            body = await answer.Content.ReadFromJsonAsync<Body>(json, ct).ConfigureAwait(false);
        }
        catch (JsonException)
        {
            // Somebody in between answered; the status is what there is.
        }

        return new(
            (int)answer.StatusCode, body?.Code ?? "unknown", body?.Detail ?? answer.ReasonPhrase ?? "Refused", body?.Errors ?? [], body?.RequestId, answer.Headers.RetryAfter?.Delta);
    }

    private sealed record Body(
        [property: JsonPropertyName("code")] string? Code, [property: JsonPropertyName("detail")] string? Detail,
        [property: JsonPropertyName("errors")] IReadOnlyList<RefusedField>? Errors, [property: JsonPropertyName("request_id")] string? RequestId);
}

/// <param name="Field">The JSON path as it was sent, as in greeting.text.</param>
public sealed record RefusedField(
    [property: JsonPropertyName("field")] string Field, [property: JsonPropertyName("code")] string Code, [property: JsonPropertyName("message")] string Message);
