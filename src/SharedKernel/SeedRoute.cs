using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace VoicePlatform.SharedKernel;

/// <summary>
/// Marks an endpoint whose clients were written for a seed system: what is invalid answers 400, and every refusal, from whatever
/// depth it comes, speaks as the seed did.
/// </summary>
public sealed class SeedRoute
{
    /// <summary>snake_case fields in plain problem documents (seed 004).</summary>
    public static readonly SeedRoute Plain = new();

    /// <summary>camelCase fields in problem documents (seeds 000 and 001).</summary>
    public static readonly SeedRoute CamelCase = new() { IsCamelCase = true };

    /// <summary>{success, message, data} in place of problem documents (seed 003).</summary>
    public static readonly SeedRoute Envelope = new() { IsEnvelope = true };

    private SeedRoute()
    {
    }

    internal bool IsCamelCase { get; private init; }

    internal bool IsEnvelope { get; private init; }

    /// <summary>Seed 003's success.</summary>
    public static IResult Success(string message, object data) => Results.Json(new { success = true, message, data }, Json.Options);

    /// <summary>The mark of the endpoint that this request is, or was before it failed, for.</summary>
    internal static SeedRoute? Of(HttpContext http) =>
        (http.GetEndpoint() ?? http.Features.Get<IExceptionHandlerFeature>()?.Endpoint)?.Metadata.GetMetadata<SeedRoute>();

    internal static int StatusOf(int status) => status == StatusCodes.Status422UnprocessableEntity ? StatusCodes.Status400BadRequest : status;

    internal Error Spoken(Error error) => IsCamelCase ? error with { Fields = [.. error.Fields.Select(f => f with { Field = Camel(f.Field) })] } : error;

    private static string Camel(string path) =>
        string.Concat(path.Split('_').Select((word, i) => i == 0 || word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..]));
}

public static class SeedRoutes
{
    public static TBuilder ForSeed<TBuilder>(this TBuilder endpoint, SeedRoute seed)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(seed);
}
