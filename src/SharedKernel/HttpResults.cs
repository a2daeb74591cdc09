using Microsoft.AspNetCore.Http;

namespace VoicePlatform.SharedKernel;

/// <summary>The only place where an error becomes a status code: RFC 9457 with a stable code, the refused fields and the request's id.</summary>
public static class HttpResults
{
    private static readonly TimeSpan DefaultRetryAfter = TimeSpan.FromSeconds(5);

    public static IResult ToHttp<T>(this Result<T> result, Func<T, IResult> ok) => result.IsOk ? ok(result.Value) : result.Error.ToHttp();

    /// <param name="status">Where it is not the kind's own.</param>
    public static IResult ToHttp(this Error error, int? status = null) => new Problem(error, status ?? StatusOf(error.Kind));

    public static int StatusOf(ErrorKind kind) => kind switch
    {
        ErrorKind.Malformed => StatusCodes.Status400BadRequest,
        ErrorKind.Unauthenticated => StatusCodes.Status401Unauthorized,
        ErrorKind.PaymentRequired => StatusCodes.Status402PaymentRequired,
        ErrorKind.Forbidden => StatusCodes.Status403Forbidden,
        ErrorKind.NotFound => StatusCodes.Status404NotFound,
        ErrorKind.Conflict => StatusCodes.Status409Conflict,
        ErrorKind.PreconditionFailed => StatusCodes.Status412PreconditionFailed,
        ErrorKind.Invalid => StatusCodes.Status422UnprocessableEntity,
        ErrorKind.RateLimited => StatusCodes.Status429TooManyRequests,
        ErrorKind.Refused => StatusCodes.Status502BadGateway,
        ErrorKind.Unavailable => StatusCodes.Status503ServiceUnavailable,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
    };

    public static Task WriteProblemAsync(this HttpContext context, int status, Error error)
    {
        if (SeedRoute.Of(context) is { } seed)
        {
            (status, error) = (SeedRoute.StatusOf(status), seed.Spoken(error));
        }

        context.Response.StatusCode = status;
        if (error.RetryAfter is { } wait || (status is StatusCodes.Status503ServiceUnavailable && (wait = DefaultRetryAfter) > TimeSpan.Zero))
        {
            context.Response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString("0", null);
        }

        if (SeedRoute.Of(context) is { IsEnvelope: true })
        {
            return context.Response.WriteAsJsonAsync(new { success = false, message = error.Message, data = (object?)null }, Json.Options, context.RequestAborted);
        }

        return context.Response.WriteAsJsonAsync(
            new ProblemBody($"urn:voiceplatform:error:{error.Code}", error.Code, status, error.Message, error.Code, error.Fields, context.TraceIdentifier),
            Json.Options,
            "application/problem+json",
            context.RequestAborted);
    }

    private sealed record ProblemBody(
        string Type, string Title, int Status, string Detail, string Code, IReadOnlyList<FieldError> Errors, string RequestId);

    private sealed class Problem(Error error, int status) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext) => httpContext.WriteProblemAsync(status, error);
    }
}
